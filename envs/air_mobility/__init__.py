"""Urban air mobility: a fleet of electric aircraft flies passengers between vertiports through one day."""
