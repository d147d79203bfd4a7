"""Histories of slots and credits under kills and pauses, judged by a checker made elsewhere (REL-12).

Clients note every operation: when they asked, when they had the answer, and what it was. Porcupine then looks for an order in which
each operation takes effect in one moment between the two. If there is none, the platform was seen to do something wrong.

What is claimed for **slots** (`slots.py`), one map from slots to sessions for each provider:

- A booking that is answered with `reserved` took the slot between the request and that answer. It was free then.
- A booking or move that is refused with `slot-taken` met a moment in between in which the slot was not free.
- A move that is answered with 200 took the new slot and gave up the old one in one moment before the answer.
- A cancellation frees its slot some time after the request: availability hears of it by its topic. It has by the time when the
  platform has drained.
- A search for slots (`GET /v1/providers/{id}/slots`) shows exactly what is free in one moment before its answer.

What is claimed for **credits** (`credits.py`), a counter for each member that knows for whom it holds:

- A booking that is answered with `reserved` took one available credit and holds it, between the request and that answer.
- A cancellation with enough notice gives it back once, between the request and the moment in which the session shows it.
- An adjustment that is answered with 201 changed the balance before that answer.
- A balance (`GET /v1/members/{id}/credits`) is what was available and held in one moment before its answer.

What is not claimed: that two services agree at one moment; that a session shows its credit's state at once; why a booking without a
clear answer failed. If nobody knows what came of an operation (a time-out, 503, or 202 without a decision while its client waited), it
took effect at any moment after the request, or never; and a booking may then have given back later what it took.
"""
