"""What the validations of requests are made of: documents, schemas, operations."""
