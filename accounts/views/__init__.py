"""The pages of this room, by audience."""
