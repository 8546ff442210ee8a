"""Everything pandas: rows become texts, answers become typed columns and files."""
