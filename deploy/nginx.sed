# The placeholders of nginx.conf. The first three are yours to fill in.
s#__SERVER_NAME__#api.example.com#g
s#__CERTIFICATE__#/etc/letsencrypt/live/api.example.com/fullchain.pem#g
s#__CERTIFICATE_KEY__#/etc/letsencrypt/live/api.example.com/privkey.pem#g

# Paths that stream: a regular expression on the decoded path.
s#__STREAMS__#/(events|stream|uploads|downloads)(/|$)#g

# As gatehouse.socket has it.
s#__SOCKET__#/run/gatehouse.sock#g

# As Debian has them.
s#__USER__#www-data#g
s#__RUN__#/run#g
s#__LOGS__#/var/log/nginx#g
s#__TEMP__#/var/lib/nginx#g
s#__HTTP_PORT__#80#g
s#__HTTPS_PORT__#443#g
