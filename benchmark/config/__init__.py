"""From parts to one plain mmdet config."""
