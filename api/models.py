"""What makes a repeated API call answer as the first did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Id, Model


class IdempotencyKey(Model):
    __tablename__ = "idempotency_key"
    __table_args__ = (Index("uq_idempotency_key_key", "api_key_id", "key", unique=True),)
    id: Mapped[Id]
    api_key_id: Mapped[int] = mapped_column(ForeignKey("api_key.id", ondelete="CASCADE"))
    key: Mapped[str]
    request_hash: Mapped[str]  # method, path and body: another request under the same key is refused
    status: Mapped[int | None]
    answer: Mapped[Any | None] = mapped_column(JSONB)
    created_at: Mapped[datetime]
