"""The results of a study: read from its storage alone, told in Markdown, CSV and plots."""
