"""One self-contained HTML file that says what a run found, how sure it is, and what it stands on."""
