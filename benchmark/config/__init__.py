"""From the layers that a row's recipe names to one plain mmdet config."""
