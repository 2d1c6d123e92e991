"""HTTP as bytes: headers, bodies, frames, and a client's stream. Of what is said in them it knows nothing."""
