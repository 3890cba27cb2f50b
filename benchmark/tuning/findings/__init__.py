"""What a study found: read from its storage alone, told in Markdown, CSV, plots and a page."""
