# For https://devenv.sh. Copy it to the root of the repository, then:
#
#   devenv shell
#   devenv test
{ pkgs, ... }:

{
  packages = [
    pkgs.git
    pkgs.uv
    pkgs.python313
    pkgs.redis
    pkgs.haproxy
    pkgs.nginx
    pkgs.prometheus # promtool
    pkgs.go
    pkgs.ruby
  ];

  enterTest = "scripts/check";

  processes.claude-proxy.exec = "bash -c '. scripts/setup; exec \"$ROOT/.venv/bin/claude-proxy\" serve --simulate'";
}
