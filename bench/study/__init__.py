"""A human study: two-alternative (or three-) forced choice between the translations of several runs.

design   which sources and methods make up which question; pure, seeded
build    the static page and the key that stays at home
answers  what participants sent back: read, checked, rejected with a reason
ranking  preference percentages and the Bradley-Terry ranking
collect  answers -> result.json and the metric user_preference_pct of each run
serve    a small server on loopback that hands out the page and keeps the answers
"""
