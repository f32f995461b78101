"""What several pages share: one room for each kind of thing that is drawn more than once."""
