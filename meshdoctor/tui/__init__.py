"""The Textual application: app, router, key registry, widgets, themes."""
