"""Tables as text for the terminal, Markdown, LaTeX and CSV, and the page."""
