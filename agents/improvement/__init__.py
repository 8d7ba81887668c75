"""Searches that improve whole schedules of a job shop, as a scheduling scientist would compare with them."""
