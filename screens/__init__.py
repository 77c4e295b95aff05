"""One file per screen: composition and handlers only."""
