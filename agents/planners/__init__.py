"""Planners that look ahead through imagined futures."""
