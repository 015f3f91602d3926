"""The demo university: raw extracts of students who study, struggle and leave."""
