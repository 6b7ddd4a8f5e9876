//! The agent on this host: its process tree, cron lines and systemd units.
