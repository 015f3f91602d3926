"""What everything stands on: settings, errors, SQL's quoting, builds and use cases, frames. Imports nothing of `ml`."""
