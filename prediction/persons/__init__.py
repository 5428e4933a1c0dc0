"""Where the people of an image are."""
