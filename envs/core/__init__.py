"""What every environment is made of: engines, specs, doors, files, errors, checks."""
