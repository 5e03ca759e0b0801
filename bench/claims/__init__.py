"""What papers claim, as data: files that say what to run and what counts as shown, and the table of what came out."""
