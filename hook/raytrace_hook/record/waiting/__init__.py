"""What a program waited for: calls of its own, of asyncio and of threads, each as a span or in one."""
