"""What is asked of every row: fields, prompt and schema, and how a reply is parsed."""
