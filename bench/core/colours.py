"""The colours of lines in all plots, in print, beside a run and on the page."""

# Okabe and Ito's colours (2008) for all kinds of colour vision, without yellow, which is too pale on white, and black,
# which is lost on a dark page; then two of Paul Tol's.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999933", "#AA4499")
