"""What a team would pick instead: each module books the same session in the same three durable steps."""
