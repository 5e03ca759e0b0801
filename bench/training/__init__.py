"""What a method is made of: its contract, batches, augmentation, the loop, checkpoints, and the device."""
