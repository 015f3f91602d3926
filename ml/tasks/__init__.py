"""What differs between kinds of question: a module each, behind one protocol."""
