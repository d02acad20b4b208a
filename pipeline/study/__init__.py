"""The study: experiments that DVC keeps, and what they say together. Stages know nothing of it."""
