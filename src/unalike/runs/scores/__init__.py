"""What is measured of a run: on rows, and in roles, that were not trained on, each beside its floors."""
