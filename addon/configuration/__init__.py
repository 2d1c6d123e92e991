"""Every setting: its names, its values, where it comes from."""
