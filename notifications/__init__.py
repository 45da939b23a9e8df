"""What leaves by e-mail: messages, templates, delivery, suppression, provider webhooks."""
