"""What everything else stands on: errors, whole files, the registry, signals, progress, provenance and ownership."""
