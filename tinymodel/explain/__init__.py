"""Where a network looks: heat maps computed (`gradcam`) and drawn (`render`)."""
