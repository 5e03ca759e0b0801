"""Tables drawn from records."""
