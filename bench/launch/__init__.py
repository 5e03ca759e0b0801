"""Many runs: which a grid asks for, where they are carried out (here or on SLURM), and how they are getting on."""
