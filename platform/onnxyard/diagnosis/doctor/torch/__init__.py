"""What the doctor can see of a torch module beyond its answers: its calls, its noise, its state."""
