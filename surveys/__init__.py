"""Surveys: authoring, versions, invitations and their rules, answering and scoring."""
