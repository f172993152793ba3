"""A simulated Microsoft tenant, Teams hub and callers: for trying Trunkline on one machine, and for testing it.

The service never knows: it is started as a process of its own with an ordinary configuration. What is simulated is what
cannot be had here, Microsoft's and Talkdesk's clouds, as strictly as their documents and field traces say.
"""
