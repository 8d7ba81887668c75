"""Instances that ship, one file each."""
