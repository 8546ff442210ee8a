"""The question for every row (fields, prompt, schema), and how a reply is parsed."""
