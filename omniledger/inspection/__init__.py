"""What is in the database against what should be; it reads, and never writes."""
