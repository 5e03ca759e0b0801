"""What was trained, at work: translating images, exporting the network, its model card, the page to play with."""
