"""HTTP as bytes: headers, bodies, frames, and a client's stream. Nothing here knows of OpenAI or Claude."""
