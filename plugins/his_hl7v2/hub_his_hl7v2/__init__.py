"""Sanyi Hub adapter."""
