"""The WSGI application that gunicorn serves."""

from gateway import create_app

app = create_app()
