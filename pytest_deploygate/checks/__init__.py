"""What is measured and judged, a folder for each subject."""
