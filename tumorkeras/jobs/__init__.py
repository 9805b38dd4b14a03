"""What the main job is made of: whose its folder is, what a model of each kind needs, and the jobs beside it."""
