from unalike.cli import main

main()
